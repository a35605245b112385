"""How steps run: what each does besides its work, and several at once in one process."""
