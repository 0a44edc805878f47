/** In a page's bundle: the text of a shader. */
declare module '*.wgsl' {
  const source: string;
  export default source;
}
