#!/bin/bash
# One task of the array that the engine "slurm" submits: it runs a worker, starts it again where it dies, and queues again
# when the scheduler wants the place back.
#
#   slurm_task.sh RECORD COMMAND...
#
# RECORD says that the workers are wanted; search.stop removes it. COMMAND is a worker, which gives its trial back and
# ends when a signal asks it to. Slurm sends USR2 before the walltime and before a preemption, to this script alone, and
# TERM, to every process, where the job is cancelled or preempted at once.

most_early_deaths=5 soon_seconds=10
# Not SLURM_JOB_ID: one task of an array has the id of the whole array.
task=${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}
record=$1
shift
asked='' interrupted='' worker='' deaths=0

note() {
  echo "$(date '+%Y-%m-%d %H:%M:%S') task $task: $*"
}
trap 'asked=1 interrupted=1; [ -z "$worker" ] || kill -USR2 "$worker" 2> /dev/null' USR2
trap 'asked=1 interrupted=1' TERM

until [ -n "$asked" ]; do
  began=$SECONDS
  "$@" &
  worker=$!
  [ -z "$asked" ] || kill -TERM "$worker" # The signal came before there was a worker to pass it on to.
  # A trapped signal ends the wait, too; whoever has been waited for is not known any more.
  status=127
  while :; do
    interrupted=''
    wait "$worker"
    now=$?
    [ "$now" -eq 127 ] || status=$now
    [ -n "$interrupted" ] || break
  done
  worker=''
  # It has had the last word: all trials are there, or it may not or cannot go on.
  if [ -z "$asked" ] && [ "$status" -le 128 ]; then
    exit "$status"
  fi
  [ -z "$asked" ] || break
  if [ $((SECONDS - began)) -lt $soon_seconds ]; then deaths=$((deaths + 1)); else deaths=0; fi
  if [ $deaths -ge $most_early_deaths ]; then
    note "the worker has died $deaths times in a row, last with status $status"
    exit "$status"
  fi
  note "the worker has died with status $status and is started again"
done

# Cancelled, or already queued again by the scheduler itself: then the job does not count as running any more.
if [ -e "$record" ] && [ "$(squeue --noheader --jobs="$task" --format=%T)" = RUNNING ]; then
  note "the place is given back; queued again"
  scontrol requeue "$task"
  exit
fi
note "stopped"
exit "$status"
