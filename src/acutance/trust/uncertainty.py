"""x"""

INTERVAL = 1.6449
