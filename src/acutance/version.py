"""The version of Acutance, for what every room writes about its results."""

VERSION = "0.2.0"
