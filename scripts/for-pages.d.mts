import type { Plugin } from 'rolldown';

export declare const forPages: Plugin;
