#!/bin/bash
# A task of a Slurm array explains one shard: sbatch --array="$(gradcampp shard status work/ --missing)" shards.sh work/
#SBATCH --job-name=gradcampp
#SBATCH --cpus-per-task=2
#SBATCH --requeue
#SBATCH --output=gradcampp-%a.log
exec gradcampp shard run "$1" --workers "$SLURM_CPUS_PER_TASK"
