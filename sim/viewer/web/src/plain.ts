// Text from a log as it may be shown: characters that would turn the order of the words around them are made visible.
const TURNING = /[\u202a-\u202e\u2066-\u2069]/g;

/** Words of right-to-left scripts stay as they are; overrides and embeddings, which reach beyond their own text, become a mark. */
export function plain(text: string): string {
  return text.replace(TURNING, "\ufffd");
}
