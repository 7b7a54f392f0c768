// What the person has read: counts what came while they did not look, and marks where it begins.
// Knows neither the server nor the DOM.

import * as timeline from "./timeline.js";

/** `append(room, item)`: to its log. `saveSoon()`: what was read has changed. */
export function createAttention({ state, append, changed, saveSoon }) {
  function isAttended(room) {
    const { visible, focused } = state.attention;
    return visible && focused && room.name === state.current && room.isAtEnd;
  }

  function count(room, messages, mentions = 0) {
    room.unread += messages;
    room.mentions += mentions;
    changed(room, { unread: true });
  }

  /** An entry has come, which is not in the log yet. */
  function arrived(room, item, isSpeech) {
    if (isAttended(room) || (item.isOwn && !room.unread)) {
      room.readSeq = Math.max(room.readSeq, item.seq);
    } else if (isSpeech && !item.isOwn && item.seq > room.readSeq) {
      if (!room.unread && !room.inner.awayMark) mark(room, { reason: "unread", from: item.time });
      // What is said to the person alone is as good as a mention.
      count(room, 1, item.isMention || room.isDirect ? 1 : 0);
    }
  }

  /** All of a room that the person looks at is read. */
  function read(room) {
    if (!isAttended(room)) return;
    room.readSeq = room.position;
    if (!room.unread && !room.mentions) return;
    room.unread = room.mentions = 0;
    saveSoon();
    changed(room, { unread: true });
  }

  /** Where the person, or the connection, was away. One mark a room. */
  function mark(room, fields) {
    const { inner } = room;
    if (inner.awayMark) timeline.remove(room, inner.awayMark);
    inner.awayMark = timeline.newItem("away", fields);
    append(room, inner.awayMark);
  }

  /** A mark above what is read is of no use any more. */
  function forgetMark(room) {
    if (room.unread || !room.inner.awayMark) return;
    timeline.remove(room, room.inner.awayMark);
    room.inner.awayMark = null;
    changed(room, { log: true });
  }

  function set(attention) {
    const was = state.attention.visible && state.attention.focused;
    Object.assign(state.attention, attention);
    const is = state.attention.visible && state.attention.focused;
    // What comes from here on is behind a new mark.
    if (was && !is) for (const room of state.rooms.values()) forgetMark(room);
    const room = state.rooms.get(state.current);
    if (is && room) read(room);
  }

  return { isAttended, count, arrived, read, mark, forgetMark, set };
}
