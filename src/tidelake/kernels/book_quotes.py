"""Quotes laid beside the best levels that a book had at the same update id."""

import numpy as np

from tidelake.kernels.book_codes import BY_QUOTE, NONE
from tidelake.kernels.book_memory import (
    C_QUOTES_COMPARED,
    C_QUOTES_EQUAL,
    LAST_ID,
    LIVE,
    M_LAST_ID,
    PHASE,
    QUOTE_BAD,
    QUOTE_ROW,
    RING,
    T_ID,
    TOPS,
    WAITING_FROM,
    WAITING_TO,
    same_top,
    write_quote,
    write_top,
)
from tidelake.kernels.compiling import inner


@inner
def note_top(books, slot):
    """Keeps the best levels at the book's update id, for the quotes that bear it."""
    word = books.words[slot]
    if word[QUOTE_ROW] >= 0 and word[LAST_ID] != NONE:
        row = books.quotes[word[QUOTE_ROW], 0, word[TOPS] % RING]
        row[T_ID] = word[LAST_ID]
        write_top(books, slot, row)
        word[TOPS] += 1


@inner
def _compare(books, slot, top, quote):
    """Compares a quote with the book's top at the same id."""
    books.words[slot, C_QUOTES_COMPARED] += 1
    if same_top(top, quote):
        books.words[slot, C_QUOTES_EQUAL] += 1
        books.words[slot, QUOTE_BAD] = 0
        return BY_QUOTE
    books.words[slot, QUOTE_BAD] = 1
    return 0


@inner
def compare_waiting_quotes(books, slot):
    """Compares the quotes that came before the update just applied; older ones are dropped."""
    word = books.words[slot]
    if word[QUOTE_ROW] < 0 or word[TOPS] == 0:
        return 0
    proven = 0
    top = books.quotes[word[QUOTE_ROW], 0, (word[TOPS] - 1) % RING]
    while word[WAITING_FROM] < word[WAITING_TO]:
        quote = books.quotes[word[QUOTE_ROW], 1, word[WAITING_FROM] % RING]
        if quote[T_ID] > top[T_ID]:
            break
        if quote[T_ID] == top[T_ID]:
            proven = _compare(books, slot, top, quote)
        word[WAITING_FROM] += 1
    return proven


@inner
def meet_quote(books, slot, messages, i):
    """A quote meets a book: compared with the top at its id, or kept until that id comes."""
    word = books.words[slot]
    at = word[TOPS] - 1
    oldest = max(word[TOPS] - RING, 0)
    while at >= oldest and books.quotes[word[QUOTE_ROW], 0, at % RING, T_ID] > messages.row[i, M_LAST_ID]:
        at -= 1
    row = books.quotes[word[QUOTE_ROW], 1, word[WAITING_TO] % RING]
    if at >= oldest and books.quotes[word[QUOTE_ROW], 0, at % RING, T_ID] == messages.row[i, M_LAST_ID]:
        quote = np.empty(len(row), np.int64)
        write_quote(messages, i, quote)
        return _compare(books, slot, books.quotes[word[QUOTE_ROW], 0, at % RING], quote)
    if word[LAST_ID] == NONE or messages.row[i, M_LAST_ID] > word[LAST_ID] or word[PHASE] != LIVE:
        if word[WAITING_TO] - word[WAITING_FROM] == RING:
            word[WAITING_FROM] += 1
        write_quote(messages, i, row)
        word[WAITING_TO] += 1
    return 0
