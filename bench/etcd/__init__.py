"""Routes that flannel's daemons keep in etcd, and the pump that follows them.

`client` speaks to etcd, `leases` knows what flannel writes there, `follow` keeps the routes of a
running pump as the leases are, `server` runs an etcd for a scenario.
"""
