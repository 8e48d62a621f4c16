"""Which blocks of a chain are active, and of which tier: a pure state machine over what providers tell.

    tracker = Tracker("ethereum", chain("ethereum").finality, start, providers=("alpha", "beta"))
    outputs = tracker.hear([Head("alpha", "latest", block, seen_us)])
    for ask in tracker.asks(): ...      # headers it needs to link a head; `tracker.link` takes them

The rules:

* A block that follows the active chain is active on the word of one provider, as tier 1.
* An active block goes out only when `quorum` providers tell a chain without it, and more of them do than tell another
  chain at that height. One alone never retracts, nor do any that merely lag: their chain is a part of ours.
* A block is of tier 2 or 3 when `quorum` providers, or all where there are fewer, tell a tag at or above it: of each
  the last word that is of the active chain. Tier 3 of an active block never falls; tier 2 falls with these words.
* Where a block of tier 3 would go out, or a fork is older than what is held, nothing is changed: an incident, and the
  tracker halts until `resume`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tidelake.chains.finality import agreed_number, policy_at
from tidelake.chains.heads import (
    Ask,
    Block,
    Correction,
    Head,
    Incident,
    Moved,
    Output,
    Resumed,
    Standing,
    StandingState,
    Tier,
    Tiers,
    TrackerState,
)
from tidelake.chains.provider_view import View
from tidelake.chains.spec import FinalityPolicy, Tag
from tidelake.errors import ConfigError, FormatDrift

HOLD = 16_384  # blocks: two days of Ethereum, an hour of Arbitrum
MOST_ASKED = 256
LEAST_ASKED = 8


class Tracker:
    """The active chain from a start block on.

    Args:
        chain: Its name, as it stands in outputs.
        policies: Its dated finality policies, oldest first.
        start: Where to begin: a block that is settled, because no fork before it can be resolved.
        providers: Names of all who may speak.
        quorum: So many must agree before anything is retracted.
        hold: Blocks that are held behind those that `quorum` providers tell: an ancestor is looked for among them.
        lag: A provider further behind than this many blocks is said to lag.

    Raises:
        ConfigError: There is no provider, or two of one name.
    """

    def __init__(
        self,
        chain: str,
        policies: Sequence[FinalityPolicy],
        start: Block,
        *,
        providers: Sequence[str],
        quorum: int = 2,
        hold: int = HOLD,
        lag: int = 3,
    ) -> None:
        if not providers or len(set(providers)) < len(providers):
            raise ConfigError(f"{chain}: needs at least one provider, each with a name of its own")
        self.chain = chain
        self.quorum = quorum
        self.halted = ""
        self._policies = tuple(policies)
        self._active = {start.number: start}
        self._base = self._tip = start
        self._safe = self._final = -1
        self._views = {name: View() for name in providers}
        self._standings: dict[str, StandingState] = dict.fromkeys(providers, "SILENT")
        self._hold = hold
        self._lag = lag

    @property
    def state(self) -> TrackerState:
        """FOLLOWING; DISAGREE: a provider tells another chain, and too few are of its opinion; HALTED."""
        if self.halted:
            return "HALTED"
        return "DISAGREE" if "DISAGREES" in self._standings.values() else "FOLLOWING"

    @property
    def tip(self) -> Block:
        """The newest active block."""
        return self._tip

    @property
    def base(self) -> Block:
        """The oldest active block that is held."""
        return self._base

    @property
    def tiers(self) -> Tiers:
        """The last active block of each tier."""
        return Tiers(self._tip.number, self._safe, self._final)

    @property
    def standings(self) -> Mapping[str, StandingState]:
        """How each provider stands to the active chain."""
        return dict(self._standings)

    def active(self) -> tuple[Block, ...]:
        """The active blocks that are held, oldest first."""
        return tuple(self._active.values())

    def tier(self, number: int, digest: str) -> Tier | None:
        """Tier of a block; None where it is not active, or older than what is held."""
        block = self._active.get(number)
        return self.tiers.of(number) if block is not None and block.hash == digest else None

    def hear(self, heads: Iterable[Head]) -> list[Output]:
        """Take what a provider, or several, said at one moment.

        Raises:
            FormatDrift: A block is no descendant of its parent by number.
        """
        seen_us = 0
        told = list(heads)
        for name in {head.provider for head in told}:
            self._views[name].unlinked = self._views[name].missing is not None
        for head in told:
            view = self._views[head.provider]
            self._told(view, head.block)
            view.tags[head.tag] = head.block
            view.gone = ""
            if head.tag == "latest":
                view.head = head.block
            seen_us = max(seen_us, head.seen_us)
        return self._settle(seen_us)

    def link(self, provider: str, blocks: Iterable[Block], seen_us: int) -> list[Output]:
        """Take headers that a provider was asked for; those that belong to no chain of its are kept, and harm nothing.

        Raises:
            FormatDrift: A block is no descendant of its parent by number.
        """
        for block in blocks:
            self._told(self._views[provider], block)
        return self._settle(seen_us)

    def gone(self, provider: str, reason: str, seen_us: int) -> list[Output]:
        """A provider does not answer: it has no voice until it does."""
        view = self._views[provider]
        view.head, view.gone = None, reason
        return self._settle(seen_us)

    def resume(self, seen_us: int) -> list[Output]:
        """Go on after an incident: what providers agree on now is taken, tier 3 or not.

        A fork that is older than what is held cannot be taken: begin anew, with another start block.
        """
        begun: list[Output] = [Resumed(self.chain, seen_us)] if self.halted else []
        self.halted = ""
        return begun + self._settle(seen_us, resumed=True)

    def asks(self) -> list[Ask]:
        """Headers that are wanted now, of each provider whose head is not linked: twice as many as are known so far."""
        found = []
        for name, view in self._views.items():
            if (oldest := view.missing) is not None:
                last = oldest.parent_number
                wide = last - self._tip.number if last > self._tip.number else 2 * len(view.path)
                first = max(self._base.number + 1, last + 1 - min(MOST_ASKED, max(LEAST_ASKED, wide)))
                found.append(Ask(name, min(first, last), last, oldest.parent_hash))
        return found

    def _told(self, view: View, block: Block) -> None:
        if not -1 <= block.parent_number < block.number:
            text = f"{self.chain}: block {block.number} says that its parent is block {block.parent_number}"
            raise FormatDrift(text)
        if len(view.told) >= 4 * self._hold:
            view.told = {one.hash: one for one in view.path}
        view.told[block.hash] = block

    def _settle(self, seen_us: int, *, resumed: bool = False) -> list[Output]:
        before = self.tiers
        outputs: list[Output] = []
        self._place()
        self._note_parting(seen_us)
        while not self.halted and (found := self._outvoted()) is not None:
            first, names = found
            changed = self._deep(names, seen_us) if first is None else self._replace(first, names, seen_us, resumed)
            outputs.append(changed)
        if not self.halted:
            added = self._extend()
            self._judge_tiers()
            if added or self.tiers != before:
                outputs.append(Moved(self.chain, added, self.tiers, seen_us))
            self._forget()
        outputs = [self._with_tiers(one) for one in outputs]
        self._note_parting(seen_us)
        return outputs + self._changed_standings(seen_us)

    def _place(self) -> None:
        for view in self._views.values():
            view.place(self._active, self._base.number, self._hold)

    def _note_parting(self, seen_us: int) -> None:
        """Remember since when a provider tells what is not linked to the end of the active chain."""
        for view in self._views.values():
            if not (view.forks(self._tip.number) or view.missing):
                view.parted_us = None
            elif view.parted_us is None:
                view.parted_us = seen_us

    def _outvoted(self) -> tuple[Block | None, tuple[str, ...]] | None:
        """The first block of the fork that is to be taken, and who tells it; no block where the fork is too old."""
        views = self._views
        deep = tuple(sorted(name for name, view in views.items() if view.deep))
        linked = sum(view.joined is not None for view in views.values())
        if len(deep) >= self.quorum and len(deep) > linked:
            return None, deep
        forks = {view.path[0] for view in views.values() if view.forks(self._tip.number) and not view.deep}
        for block in sorted(forks, key=lambda one: (one.parent_number, one.number, one.hash)):
            names = tuple(sorted(name for name, view in views.items() if view.holds(block)))
            denied = sum(view.denies(block) for view in views.values())
            if len(names) >= self.quorum and len(names) > denied:
                return block, names
        return None

    def _replace(self, first: Block, names: tuple[str, ...], seen_us: int, resumed: bool) -> Correction | Incident:
        ancestor = self._active[first.parent_number]
        out = tuple(block for block in self._active.values() if block.number > ancestor.number)
        tiers = self.tiers
        seen_first = min(view.parted_us or seen_us for view in (self._views[name] for name in names))
        text = f"{len(names)} providers tell block {first.number} as {first.hash}, not {out[0].hash}"
        contradicted = tuple(block for block in out if block.number <= tiers.final)
        if contradicted and not resumed:
            self.halted = f"{len(contradicted)} final blocks are contradicted: {text}"
            return Incident(self.chain, ancestor, contradicted, names, self.halted, seen_first, seen_us)
        adopted = _commonest([view.path for view in self._views.values() if view.holds(first)])
        for block in out:
            del self._active[block.number]
        self._tip = ancestor
        self._append(adopted)
        self._final = min(self._final, ancestor.number)
        for view in self._views.values():  # who called a block settled called those before it so
            view.settled = {tag: min(block, ancestor, key=_number) for tag, block in view.settled.items()}
        self._place()
        return Correction(
            chain=self.chain,
            ancestor=ancestor,
            out=out,
            adopted=adopted,
            tiers_out=tuple(tiers.of(block.number) for block in out),
            tiers_in=(),
            providers=names,
            reason=text,
            fork_seen_us=seen_first,
            seen_us=seen_us,
        )

    def _deep(self, names: tuple[str, ...], seen_us: int) -> Incident:
        self.halted = f"{len(names)} providers tell a chain without block {self._base.number}, the oldest that is held"
        seen_first = min(self._views[name].parted_us or seen_us for name in names)
        contradicted = tuple(block for block in self._active.values() if block.number <= self._final)
        return Incident(self.chain, None, contradicted, names, self.halted, seen_first, seen_us)

    def _extend(self) -> tuple[Block, ...]:
        tip = self._tip.number
        added = _commonest([view.path for view in self._views.values() if view.joined == tip])
        if added:
            self._append(added)
            self._place()
        return added

    def _append(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            self._active[block.number] = self._tip = block

    def _judge_tiers(self) -> None:
        policy = policy_at(self._policies, self._tip.number)
        self._final = max(self._final, self._told_of(policy.final))
        self._safe = max(self._final, self._told_of(policy.safe))

    def _told_of(self, tag: Tag | None) -> int:
        """Number of the active block up to which enough providers tell the tag; -1 where they tell none."""
        numbers: list[int] = []
        if tag is None:
            return -1
        for view in self._views.values():
            for words in (view.tags, view.settled):
                if (block := words.get(tag)) is not None and self._active.get(block.number) == block:
                    view.settled[tag] = block
                    numbers.append(block.number)
                    break
        return agreed_number(numbers, min(self.quorum, len(self._views)))

    def _with_tiers(self, output: Output) -> Output:
        if not isinstance(output, Correction):
            return output
        tiers = tuple(self.tiers.of(block.number) for block in output.adopted)
        return replace(output, tiers_in=tiers)

    def _forget(self) -> None:
        """Let go of blocks that are too old to be asked for; in large pieces, because it copies the others."""
        quorum = min(self.quorum, len(self._views))
        vouched = agreed_number([view.joined for view in self._views.values() if view.joined is not None], quorum)
        floor = vouched - self._hold
        if self._base.number + self._hold // 4 >= floor:
            return
        self._active = {number: block for number, block in self._active.items() if number >= floor}
        self._base = next(iter(self._active.values()))
        for view in self._views.values():
            view.told = {digest: block for digest, block in view.told.items() if block.number >= floor}

    def _changed_standings(self, seen_us: int) -> list[Standing]:
        found = []
        for name, view in self._views.items():
            if (state := self._standing(name, view)) != self._standings[name]:
                self._standings[name] = state
                found.append(Standing(self.chain, name, state, self._reason(view, state), seen_us))
        return found

    def _standing(self, name: str, view: View) -> StandingState:
        if view.gone:
            return "GONE"
        if view.head is None:
            return "SILENT"
        if view.forks(self._tip.number):
            return "DISAGREES"
        if view.missing or view.far:  # for as long as a single head it is no news
            return "UNLINKED" if view.unlinked or view.far else self._standings[name]
        return "LAGS" if self._tip.number - view.head.number > self._lag else "FOLLOWS"

    def _reason(self, view: View, state: StandingState) -> str:
        if state == "DISAGREES":
            theirs, joined = view.path[0], view.joined if view.joined is not None else -1
            ours = next(block for number, block in self._active.items() if number > joined)
            return f"block {theirs.number} is {theirs.hash} there, and block {ours.number} is {ours.hash} here"
        if state == "UNLINKED":
            far = f"more than {self._hold} blocks" if view.far else "blocks"
            return f"{far} before its block {view.path[0].number} are not known"
        if view.head is None:
            return view.gone or "has told nothing yet"
        return f"its newest block is {view.head.number}, of {self._tip.number}"


def _number(block: Block) -> int:
    return block.number


def _commonest(paths: Sequence[tuple[Block, ...]]) -> tuple[Block, ...]:
    """The path that most of them share, block by block; of equally many the one with the lower hash."""
    found: list[Block] = []
    left = [path for path in paths if path]
    while left:
        votes = Counter(path[len(found)] for path in left)
        best = min(votes, key=lambda block: (-votes[block], block.hash))
        found.append(best)
        left = [path for path in left if path[len(found) - 1] == best and len(path) > len(found)]
    return tuple(found)
