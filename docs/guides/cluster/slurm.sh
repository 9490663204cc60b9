#!/bin/bash
# Color a folder of reels on several machines of a SLURM cluster. Untested: written without such a cluster at hand.
#
#     sbatch docs/cluster/slurm.sh REELS OUT [further options of `videocolor batch run`]
#
# REELS and OUT must lie on storage that all machines see under the same paths; so must the environment that
# `videocolor` and `ray` are found in. Submitted again after a time limit, it goes on where it stood.
#SBATCH --job-name=videocolor
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=1
#SBATCH --time=12:00:00
# SIGTERM two minutes before the limit: films that are finished stay finished, shards that are done stay done.
#SBATCH --signal=B:TERM@120
set -euo pipefail

reels=$1 out=$2
shift 2
export RAY_USAGE_STATS_ENABLED=0
# Ray's sockets need short paths, and several users may share a machine.
export RAY_TMPDIR=/tmp/ray-$SLURM_JOB_ID
# Who reaches a Ray cluster can run anything on it: a token of this job's own, in a folder that all machines share.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$HOME/.videocolor-$SLURM_JOB_ID.token
(umask 077; head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$RAY_AUTH_TOKEN_PATH")

head=$(hostname)
address=$(hostname --ip-address | awk '{print $1}'):6379

cleanup() { kill "${pids[@]}" 2>/dev/null || true; wait; rm -f "$RAY_AUTH_TOKEN_PATH"; }
pids=()
trap cleanup EXIT

# The batch script runs on the first machine; it holds the head, the driver, and workers of its own.
ray start --head --node-ip-address="${address%:*}" --port=6379 --include-dashboard=false --block &
pids+=($!)
until ray status --address "$address" >/dev/null 2>&1; do sleep 2; done
if (( SLURM_NNODES > 1 )); then
    srun --nodes=$((SLURM_NNODES - 1)) --ntasks=$((SLURM_NNODES - 1)) --exclude="$head" \
        ray start --address="$address" --block &
    pids+=($!)
fi

# In the background, so that the script hears SIGTERM and can hand it on. Machines that join later are used as they come.
videocolor batch run "$reels" -o "$out" --engine ray --address "$address" "$@" &
driver=$!
trap 'kill -TERM $driver' TERM
wait $driver && code=0 || code=$?
while kill -0 $driver 2>/dev/null; do wait $driver && code=0 || code=$?; done
exit $code
