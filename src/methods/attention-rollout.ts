import { type AttentionNodes, layerMethod } from './common/method.js';
import { meanOverHeads, rolledMap, rolledNodes } from './common/rolled-attention.js';

/**
 * Attention rollout, Abnar and Zuidema, arXiv 2005.00928, Sec. 3: in each block B = mean over the heads of the attention, plus
 * I for the residual connection, each row brought to the sum 1; R = B_L … B_1. The map is the class token's row of R at the
 * patches; of networks without a class token, the mean over all tokens. It is the same for every class.
 *
 * The paper keeps heads apart where it looks at one, and takes their mean as here for all together.
 */
export const attentionRollout = layerMethod({
  name: 'attention-rollout',
  kind: 'layer',
  isSum: false,
  source: 'arXiv 2005.00928, Eq. 1',
  formula: 'class token’s row of Π rownorm(mean over heads of attention + I)',
  needs: ['attention'],
  hasTarget: false,
  options: {},
  map: (evidence) => {
    const attention = evidence.attention();
    const { blocks, tokens } = attention;
    const { images } = evidence;
    return rolledMap(attention, images, (block, image, to) => {
      const own = blocks[block];
      meanOverHeads(own, { images, tokens }, image, (index) => own[index], to);
      for (let i = 0; i < tokens; i++) {
        to[i * tokens + i] += 1;
        let sum = 0;
        for (let j = 0; j < tokens; j++) sum += to[i * tokens + j];
        for (let j = 0; j < tokens; j++) to[i * tokens + j] /= sum;
      }
    });
  },
  nodes: (b, { attention }) => {
    const { blocks, tokens } = attention as AttentionNodes;
    const identity = Float64Array.from({ length: tokens * tokens }, (_, i) => Number(i % (tokens + 1) === 0));
    const I = b.floats(identity, [tokens, tokens]);
    const mixings = blocks.map((block) => {
      const sum = b.add(block, I);
      return b.div(sum, b.reduceSum(sum, [2]));
    });
    return rolledNodes(b, attention as AttentionNodes, mixings);
  },
});
