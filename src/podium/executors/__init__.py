"""How an attempt is carried out, one file per way."""
