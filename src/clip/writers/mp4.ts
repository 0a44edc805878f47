import { ffmpegWriter } from './ffmpeg-writer.js';

/** H.264 and AAC, the index in front, so that it plays while it loads. */
export const mp4 = ffmpegWriter({
  format: 'mp4',
  ending: '.mp4',
  picture: ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '18'],
  sound: ['-c:a', 'aac'],
  container: ['-movflags', '+faststart', '-f', 'mp4'],
});
