import { layerMethod } from './common/method.js';
import { meanOverHeads, rolledMap } from './common/rolled-attention.js';

/**
 * Generic attention explainability, Chefer, Gur and Wolf, arXiv 2103.15679, Eq. 5 and 6, for self-attention: from R = I, block by
 * block R ← R + Ā R with Ā = mean over the heads of relu(∂S/∂P ⊙ P), P the attention. The map is the class token's row of R at
 * the patches; of networks without a class token, the mean over all tokens. As the paper has it.
 */
export const attentionGradient = layerMethod({
  name: 'attention-gradient',
  kind: 'layer',
  isSum: false,
  source: 'arXiv 2103.15679, Eq. 5, 6',
  formula: 'class token’s row of Π (I + mean over heads of relu(∂S/∂P ⊙ P)), P attention',
  needs: ['attention gradients'],
  hasTarget: true,
  options: {},
  map: async (evidence) => {
    const attention = evidence.attention();
    const gradients = await evidence.attentionGradients();
    const { blocks, tokens } = attention;
    const { images } = evidence;
    return rolledMap(attention, images, (block, image, to) => {
      const [own, slope] = [blocks[block], gradients[block]];
      const value = (index: number) => Math.max(0, own[index] * slope[index]);
      meanOverHeads(own, { images, tokens }, image, value, to);
      for (let i = 0; i < tokens; i++) to[i * tokens + i] += 1;
    });
  },
});
