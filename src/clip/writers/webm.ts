import { ffmpegWriter } from './ffmpeg-writer.js';

/** VP9 and Opus. */
export const webm = ffmpegWriter({
  format: 'webm',
  ending: '.webm',
  picture: ['-c:v', 'libvpx-vp9', '-crf', '24', '-b:v', '0', '-deadline', 'realtime', '-cpu-used', '6'],
  sound: ['-c:a', 'libopus'],
  container: ['-f', 'webm'],
});
