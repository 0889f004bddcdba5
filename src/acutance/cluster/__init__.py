"""Work on many machines: Dask hands pictures out, repeats those of lost workers, refuses those that kill workers."""
