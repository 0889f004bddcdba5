"""Network modules that know nothing of blur."""
