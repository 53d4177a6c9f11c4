#!/usr/bin/env bash
# A private Slurm cluster on 127.0.0.1 without systemd, for tests.
#
#   slurm_cluster.sh up | down | start-controller | stop-controller | start-node N | stop-node N
#
# Packages of Debian and Ubuntu: slurm-wlm munge. Settings come from the environment:
#   SLURM_TEST_HOME   folder of key, sockets, state, logs and slurm.conf (a short path: a socket's
#                     name holds 107 characters)
#   SLURM_TEST_PORTS  a port for the controller and one for each node, separated by blanks
#   SLURM_TEST_CPUS   CPUs of a node
set -euo pipefail
home=${SLURM_TEST_HOME:?names the folder of the cluster}
read -r -a ports <<< "${SLURM_TEST_PORTS:?lists the ports of controller and nodes}"
cpus=${SLURM_TEST_CPUS:-2}
nodes=$((${#ports[@]} - 1))
host=$(hostname -s)
user=$(id -un)
key=$home/munge/munge.key
socket=$home/munge/munge.sock
export SLURM_CONF=$home/etc/slurm.conf
export PATH=$PATH:/usr/sbin:/sbin

wait_for() { # seconds command...
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || { echo "waited in vain for: $*" >&2; return 1; }
    sleep 0.05
  done
}

node_lines() {
  local n
  for ((n = 1; n <= nodes; n++)); do
    echo "NodeName=n$n NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[n]}" \
      "CPUs=$cpus RealMemory=8000 State=UNKNOWN"
  done
}

write_conf() {
  mkdir -p "$home"/{etc,munge,state,log,run}
  chmod 755 "$home" "$home/munge"
  cat > "$SLURM_CONF" <<CONF
ClusterName=sse_test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
# cred_expire is also how long a job requeued after a dead node waits; 120 s by default
AuthInfo=socket=$socket,cred_expire=15
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
# neither systemd nor a cgroup hierarchy of our own
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
# finished jobs as lines of text: what sacct would know
JobCompType=jobcomp/filetxt
JobCompLoc=$home/log/jobcomp.log
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/run/spool.%n
SlurmctldPidFile=$home/run/slurmctld.pid
SlurmdPidFile=$home/run/slurmd.%n.pid
SlurmctldLogFile=$home/log/slurmctld.log
SlurmdLogFile=$home/log/slurmd.%n.log
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
# a node is down when a test says so, not because a busy machine is slow to answer
SlurmdTimeout=300
SlurmctldTimeout=60
BatchStartTimeout=120
KillWait=2
CompleteWait=0
MessageTimeout=10
MinJobAge=600
InactiveLimit=0
ReturnToService=2
JobRequeue=1
PropagateResourceLimits=NONE
# jobs of the partition short drive out those of debug; tests change the way of it
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
$(node_lines)
PartitionName=debug Nodes=n[1-$nodes] Default=YES DefaultTime=5 MaxTime=1-00:00:00 State=UP
PartitionName=short Nodes=n[1-$nodes] DefaultTime=1 MaxTime=1 PriorityTier=10 State=UP
CONF
}

start_munge() {
  [ -s "$key" ] || (umask 077; head -c 128 /dev/urandom > "$key")
  munged --force --key-file="$key" --socket="$socket" --pid-file="$home/munge/munged.pid" \
    --log-file="$home/munge/munged.log" --seed-file="$home/munge/munged.seed"
  wait_for 60 munge -n -S "$socket"
}

start_controller() { slurmctld -f "$SLURM_CONF" "$@"; wait_for 60 scontrol ping; }
start_node() { slurmd -N "n$1" -f "$SLURM_CONF"; }

gone() { # a process that has ended may stay a zombie where nobody collects it
  ! grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$1/status"
}

stop() { # file with the number of a process
  local pid
  [ -s "$1" ] || return 0
  pid=$(cat "$1")
  kill "$pid" 2>/dev/null || true
  wait_for 45 gone "$pid" || kill -9 "$pid" 2>/dev/null || true
  rm -f "$1"
}

no_jobs() { [ -z "$(squeue -h)" ]; }
all_idle() { [ "$(sinfo -h -N -t idle -p debug | wc -l)" -eq "$nodes" ]; }

up() {
  local n
  write_conf
  start_munge
  start_controller -c
  for ((n = 1; n <= nodes; n++)); do start_node "$n"; done
  wait_for 60 all_idle
}

down() {
  local file
  scancel -u "$user" 2>/dev/null || true
  wait_for 5 no_jobs || true
  for file in "$home"/run/slurmd.*.pid "$home/run/slurmctld.pid" "$home/munge/munged.pid"; do
    stop "$file"
  done
}

case ${1:-} in
  up) up ;;
  down) down ;;
  start-controller) start_controller ;;
  stop-controller) stop "$home/run/slurmctld.pid" ;;
  start-node) start_node "$2" ;;
  stop-node) stop "$home/run/slurmd.n$2.pid" ;;
  *) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
