#!/bin/sh
# Invariant 7: a guest kernel tries every instruction of both vendors' virtualization, and each gives #UD.
exec timeout 50 ${VMM:-/bin/vmm} ${GUESTS:-/lib/guests}/novirt </dev/null
