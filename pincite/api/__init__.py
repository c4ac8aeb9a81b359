"""Questions over HTTP. `docs/api.md` shows how to ask; `/openapi.json` has every route.

    socket → protocol → gate → application → routes → search, catalog, sync, evaluation

`protocol` keeps the time in which a request must arrive, `gate` says who may go on, and `routes` answer. Whatever is
refused is a `problem`.
"""
