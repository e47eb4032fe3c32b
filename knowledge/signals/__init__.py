"""What speaks for a record besides its words: small architectures that only score, to be blended with a retriever."""
