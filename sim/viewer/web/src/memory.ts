// What the page remembers between visits. Opened from disk or with storage forbidden it remembers nothing, and works.
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`icv.${key}`);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`icv.${key}`, value);
  } catch {
    // nothing to do
  }
}
