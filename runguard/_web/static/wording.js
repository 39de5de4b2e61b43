// Durations and ages in the words of `runguard/_monitor/wording.py`; a test compares the two.
"use strict";

const wording = (() => {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

  function duration(length) {
    const seconds = Math.max(0, length);
    const thousandths = Math.floor(seconds * 1000 + 0.5);
    const tenths = Math.floor(seconds * 10 + 0.5);
    if (thousandths < 1000) return `${thousandths} ms`;
    if (tenths < 100) return `${tenths / 10} s`;
    let left = Math.floor(seconds + 0.5);
    const words = [];
    for (const [unit, size] of units) {
      const count = Math.floor(left / size);
      left %= size;
      if (count) words.push(`${count} ${unit}`); else if (words.length) break;
    }
    return words.slice(0, 2).join(" ");
  }

  function age(instant, now) {
    const seconds = (now - instant) / 1000;
    const size = Math.abs(seconds);
    if (size < 10) return "just now";
    const [unit, many] = units.find(([, many]) => size >= many);
    const count = `${Math.floor(size / many)} ${unit}`;
    return seconds > 0 ? `${count} ago` : `in ${count}`;
  }

  return { duration, age };
})();
