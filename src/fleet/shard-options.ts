import { explainRunOptions, outOption, paths, reuseOptions } from '../batch/run-options.js';
import { count, text, yesOrNo } from '../options.js';

/** How engines tell a task which of many it is, from 0. */
export const indexVariables = [
  'JOB_COMPLETION_INDEX',
  'SLURM_ARRAY_TASK_ID',
  'AWS_BATCH_JOB_ARRAY_INDEX',
] as const;

/** What is planned, beside what is explained. */
export const planOptions = {
  /** Where `plan.json` and the results of shards go: a folder that every machine sees, or s3://bucket/prefix. */
  out: text({
    expected: 'a folder, or s3://BUCKET/PREFIX',
    help: 'where the plan and the results of its shards go: a folder that every machine sees, or s3://bucket/prefix',
    flag: '--out <where>',
  }),
  /** Pictures of a shard; made a multiple of a pass. */
  size: count({ from: 1, to: 1e6, default: 512, help: 'pictures of a shard', flag: '--size <n>' }),
  /** Files of paths, one a line. */
  lists: paths({ help: 'a file of paths, one a line', flag: '--list <file>' }),
  /** Tar archives, a shard each. */
  archives: paths({ help: 'a tar archive of pictures, which is a shard', flag: '--input <archive>' }),
};

/** Where an evaluation is planned, in place of being run. */
export const evaluationPlanOptions = {
  plan: text({
    expected: 'a folder, or s3://BUCKET/PREFIX',
    help: 'measure nothing here, and write a plan for many machines (gradcampp shard run): a folder, or s3://bucket/prefix',
    flag: '--plan <where>',
  }),
  shards: count({
    from: 1,
    to: 1e6,
    default: 16,
    help: 'with --plan: into how many shards',
    flag: '--shards <n>',
  }),
};

/** What a machine needs to know to run a shard. */
export const shardOptions = {
  index: count({
    help: 'which shard, from 0',
    otherwise: `what ${indexVariables.join(', ')} says`,
    flag: '--index <n>',
  }),
  /** Where the model lies on this machine. */
  model: text({
    expected: 'the path of an ONNX file',
    help: 'where the model lies on this machine',
    otherwise: 'as planned',
    flag: '--model <file>',
  }),
  /** A folder of this machine for what is written before it goes to the storage. */
  work: text({
    expected: 'the path of a folder',
    help: 'a folder of this machine for what is not finished',
    otherwise: 'the system’s for temporary files',
    flag: '--work <dir>',
  }),
  /** Without it such a shard is taken for a fault of the machine, as a disk that is not mounted, and is left to others. */
  allowFailed: yesOrNo({
    default: false,
    help: 'take a shard as done of which no picture could be explained',
    flag: '--allow-failed',
  }),
};

/** What becomes of the results. */
export const mergeOptions = {
  ...outOption('gradcampp-out'),
  table: explainRunOptions.table,
  overwrite: reuseOptions.overwrite,
};
