"""Where the words of a page stand: whether any are cut off, lie over others, or are outside of the window. Measured, not looked at.

What ends in dots on purpose (`text-overflow`, a number of lines) and what can be scrolled to is no fault; lists of which only the
visible rows exist may show half a row at their edge.
"""

from __future__ import annotations

from playwright.sync_api import Page


def misplaced(page: Page) -> list[str]:
    """What is wrong with the places of the words that can be seen, one line each; nothing when all is well."""
    found: list[str] = page.evaluate(_MISPLACED)
    return found


_MISPLACED = """() => {
  const out = new Set();
  if (document.documentElement.scrollWidth > innerWidth) out.add(`the page is ${document.documentElement.scrollWidth} px wide`);
  const words = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, holder = node.parentElement;
    if (!node.textContent.trim() || holder.closest('script, style, option, .p-offscreen') || !holder.checkVisibility({ visibilityProperty: true })) continue;
    const name = node.textContent.trim().slice(0, 50);
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const line of range.getClientRects()) {
      if (line.width < 1 || line.height < 1) continue;
      const box = { left: line.left, right: line.right, top: line.top, bottom: line.bottom };
      let canScroll = false;
      for (let each = holder; each && each !== document.body; each = each.parentElement) {
        const style = getComputedStyle(each);
        if (style.overflowX === 'visible' && style.overflowY === 'visible') continue;
        const frame = each.getBoundingClientRect();
        const hasDots = style.textOverflow === 'ellipsis' || style.webkitLineClamp !== 'none';
        const isWide = box.left < frame.left - 1 || box.right > frame.right + 1;
        const isHigh = box.top < frame.top - 2 || box.bottom > frame.bottom + 2;
        const scrolls = side => side === 'auto' || side === 'scroll';
        if (!hasDots && !canScroll) {
          if (isWide && !scrolls(style.overflowX)) out.add(`cut off at the side: ${name}`);
          if (isHigh && !scrolls(style.overflowY)) out.add(`cut off above or below: ${name}`);
        }
        canScroll ||= (isWide && scrolls(style.overflowX)) || (isHigh && scrolls(style.overflowY)) || (hasDots && (isWide || isHigh));
        box.left = Math.max(box.left, frame.left); box.right = Math.min(box.right, frame.right);
        box.top = Math.max(box.top, frame.top); box.bottom = Math.min(box.bottom, frame.bottom);
      }
      if (box.right - box.left < 2 || box.bottom - box.top < 4) continue;
      if (box.left < -1 || box.top < -1 || box.right > innerWidth + 1 || box.bottom > innerHeight + 1) out.add(`outside: ${name}`);
      words.push({ node, holder, box, name });
    }
  }
  // Whatever lies above others on a ground of its own covers them on purpose.
  const sheet = holder => {
    for (let each = holder; each; each = each.parentElement) {
      const style = getComputedStyle(each);
      if (/absolute|fixed|sticky/.test(style.position) && style.backgroundColor !== 'rgba(0, 0, 0, 0)') return each;
    }
    return null;
  };
  for (let i = 0; i < words.length; i++)
    for (let j = i + 1; j < words.length; j++) {
      const [a, b] = [words[i], words[j]];
      if (a.node === b.node) continue;
      const width = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const height = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
      if (width > 2 && height > 3 && sheet(a.holder) === sheet(b.holder)) out.add(`one over the other: ${a.name} / ${b.name}`);
    }
  return [...out];
}"""
