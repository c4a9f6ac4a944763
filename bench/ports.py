"""The ports at which the probes' servers listen, in one place: a program that forwards ports to a
container has to be told of them."""

ECHO = 7007
UNUSED = 7009
"""Nothing ever listens there."""
GOODPUT = 5201
FORWARDED_FLOWS = tuple(range(7010, 7014))
"""Of flows of datagrams whose ports are forwarded, in turn; others have any free one."""

UDP = (ECHO, *FORWARDED_FLOWS)
TCP = (GOODPUT,)
