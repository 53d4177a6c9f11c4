#!/bin/bash
# The environment of the shell that ran qlaunch is passed on (sbatch --export=ALL), so this is no
# login shell: /etc/profile would set PATH anew. What else a job needs goes into pre_rocket.
#SBATCH --job-name=$${job_name}
#SBATCH --output=$${output}
#SBATCH --open-mode=append
# A requeued job would find its firework RUNNING and do nothing: `sse recover` starts it again.
#SBATCH --no-requeue
#SBATCH --partition=$${queue}
#SBATCH --account=$${account}
#SBATCH --qos=$${qos}
#SBATCH --reservation=$${reservation}
#SBATCH --time=$${walltime}
#SBATCH --time-min=$${time_min}
#SBATCH --nodes=$${nodes}
#SBATCH --ntasks=$${ntasks}
#SBATCH --ntasks-per-node=$${ntasks_per_node}
#SBATCH --cpus-per-task=$${cpus_per_task}
#SBATCH --mem=$${mem}
#SBATCH --mem-per-cpu=$${mem_per_cpu}
#SBATCH --gpus=$${gpus}
#SBATCH --gpus-per-node=$${gpus_per_node}
#SBATCH --gres=$${gres}
#SBATCH --constraint=$${constraint}
#SBATCH --exclude=$${exclude_nodes}
#SBATCH --nodelist=$${nodelist}
#SBATCH --licenses=$${license}
#SBATCH --signal=$${signal}
#SBATCH --mail-type=$${mail_type}
#SBATCH --mail-user=$${mail_user}

$${pre_rocket}
cd $${launch_dir} || exit 1

# In the background, so that this shell can hand on what Slurm sends it: without the trap it would
# die of SIGTERM at once and take the worker with it, without the grace that Slurm grants.
$${rocket_launch} &
worker=$!
trap 'kill -USR1 "$worker" 2>/dev/null' USR1
trap 'kill -TERM "$worker" 2>/dev/null' TERM
status=0
while kill -0 "$worker" 2>/dev/null; do
  wait "$worker"
  status=$?
done
$${post_rocket}
exit "$status"
