import { choice, yesOrNo } from '../../options.js';
import { type PeerName, peerNames } from '../compat/index.js';

/** What can be asked of any method beside its own options; those that cannot have it say so. */
export const modifiers = {
  /**
   * The mean of six maps in place of one: of the picture and its mirror image (mirrored back), each at the brightnesses 0.9, 1 and
   * 1.1; default false.
   *
   * As aug_smooth of pytorch-grad-cam: brightness multiplies the preprocessed input, what is explained is what was found in the
   * picture itself, and the mean of the normalised maps is not normalised again. Beyond it: signals (no height) and outputs with
   * places (segmentations, detections, lines of text: the target would be elsewhere in the mirror image) are not mirrored, and the mean
   * is of the three brightnesses; inputs of whole numbers stay within their range.
   */
  aug: yesOrNo({
    help: 'mean of the maps of the picture, its mirror image and three brightnesses',
    flag: '--aug',
  }),
  /**
   * The first principal map of the weighted channels in place of their sum; default false. X [P, K] holds w_k A_k (or w_k ⊙ A_k), a
   * row a position, not centred; map relu(X v₁), v₁ its first right singular vector, with the sign that makes the inner product with
   * the method's own sum not negative. Methods that are no sum of channels refuse it.
   */
  eigen: yesOrNo({
    help: 'first principal map of the weighted channels in place of their sum',
    flag: '--eigen',
  }),
  /** The numbers of another package, where it has the method: each says in compat/ what it does differently. */
  compat: choice(peerNames, {
    help: 'numbers as another package gives them: pytorch-grad-cam, torch-cam, authors or tf-keras-vis',
    flag: '--compat <package>',
  }),
};

/** Those that are on; plain data. */
export interface Modifiers {
  readonly aug?: true;
  readonly eigen?: true;
  readonly compat?: PeerName;
}
