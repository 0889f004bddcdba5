"""The service: HTTP and a page, with the restorations in worker processes that may die without taking it along.

::

    settings, orders     values that everybody knows
    restoration          the only file that calls the library; runs in a worker
    worker, pool         one process per device or pair of cores, a bounded queue before them
    header               the size of a picture, known before it is decoded
    jobs, metrics        results that are kept for a while, and what is counted
    forms, guard, routes, app, server    HTTP

The serving process itself never imports torch. Only `routes`, `app` and `server` need the extra `serve`.
"""
