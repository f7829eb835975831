#!/usr/bin/env bash
# What one core of this machine can do at most: see limits.c.
set -eu
echo "limits of one core"
"$RECPIPE_BENCH/limits"
