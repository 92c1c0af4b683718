"""The vocabulary: frozen values without I/O. None of them serialises itself."""
