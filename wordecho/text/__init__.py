"""Text in, words out: what a word is, and what there is to say about a text. No octets, no input or output."""
