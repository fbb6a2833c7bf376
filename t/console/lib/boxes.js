// Copyright (C) the ngx_http_iclock_module authors

// A font of which each character is the same box, and a blank is none: where
// words stand does not depend on the fonts of a machine, so that pictures can
// be compared, and widths be judged.

'use strict';

const first = 0x20, last = 0x2fff;
const blanks = [0x20, 0xa0, 0x2007, 0x2009, 0x202f];

const u16 = (...values) => {
    const bytes = Buffer.alloc(2 * values.length);

    values.forEach((value, i) => bytes.writeUInt16BE(value & 0xffff, 2 * i));
    return bytes;
};

const u32 = (...values) => u16(...values.flatMap((v) => [v >>> 16, v]));


// Glyphs: 0 and 1 are boxes, 2 is empty.

function tables() {
    const [left, bottom, right, top] = [60, 0, 540, 700];

    const box = Buffer.concat([
        u16(1, left, bottom, right, top, 3, 0),
        Buffer.from([0x01, 0x01, 0x01, 0x01]),
        u16(left, 0, right - left, 0), u16(bottom, top, 0, -top)]);

    const codes = Array.from({ length: last - first + 1 }, (_, i) =>
        blanks.includes(first + i) ? 2 : 1);

    const map = u16(4, 32 + 2 * codes.length, 0, 4, 4, 1, 0,
                    last, 0xffff, 0, first, 0xffff, 0, 1, 4, 0, ...codes);

    return {
        'OS/2': Buffer.concat([
            u16(4, 600, 400, 5, 0, 650, 600, 0, 75, 650, 600, 0, 350, 50, 250,
                0), Buffer.alloc(10), u32(1, 0, 0, 0), Buffer.from('NONE'),
            u16(0x40, first, last, 800, -200, 0, 800, 200), u32(1, 0),
            u16(500, 700, 0, 0x20, 1)]),
        cmap: Buffer.concat([u16(0, 1, 3, 1), u32(12), map]),
        glyf: Buffer.concat([box, box]),
        head: Buffer.concat([
            u32(0x10000, 0x10000, 0, 0x5f0f3cf5), u16(0x0b, 1000),
            Buffer.alloc(16), u16(left, bottom, right, top, 0, 8, 2, 0, 0)]),
        hhea: Buffer.concat([
            u32(0x10000), u16(800, -200, 0, 600, left, left, right, 1, 0, 0, 0,
                              0, 0, 0, 0, 3)]),
        hmtx: u16(600, left, 600, left, 600, 0),
        loca: u16(0, box.length / 2, box.length, box.length),
        maxp: Buffer.concat([u32(0x10000), u16(3, 4, 1, 0, 0, 1, 0, 0, 0, 0, 0,
                                               0, 0, 0)]),
        name: u16(0, 0, 6),
        post: Buffer.concat([u32(0x30000, 0), u16(-100, 50), u32(1, 0, 0, 0,
                                                                 0)]),
    };
}


function font() {
    const all = Object.entries(tables());
    let at = 12 + 16 * all.length;

    const directory = [u32(0x10000), u16(all.length, 128, 3,
                                         16 * all.length - 128)];
    const bodies = [];

    for (const [tag, body] of all) {
        directory.push(Buffer.from(tag), u32(0, at, body.length));
        bodies.push(body, Buffer.alloc(-body.length & 3));
        at += body.length + (-body.length & 3);
    }

    return Buffer.concat([...directory, ...bodies]);
}


// In the page: words are boxes, and nothing blinks.

const dress = async (bytes) => {
    const face = new FontFace('boxes', Uint8Array.from(atob(bytes), (c) =>
        c.charCodeAt(0)));
    const sheet = new CSSStyleSheet();

    await face.load();
    document.fonts.add(face);
    sheet.replaceSync(`* { font-family: boxes !important;
                           font-synthesis: none !important;
                           caret-color: transparent !important }
        input[type=date] { inline-size: 9rem !important }
        ::-webkit-datetime-edit { visibility: hidden !important }`);
    document.adoptedStyleSheets = [sheet];
};


module.exports = (page) => page.evaluate(dress, font().toString('base64'));
