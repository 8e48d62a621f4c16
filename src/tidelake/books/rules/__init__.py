"""The book rule of each venue, dated: what a message must carry so that the book after it is proven."""
