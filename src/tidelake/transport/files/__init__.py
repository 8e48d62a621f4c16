"""Files of elsewhere, found and read from any place: in a bucket, over HTTP, in a local folder."""
