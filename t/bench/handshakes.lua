-- wrk: handshakes, each of another device
--
-- arguments: prefix, threads, handshakes that each thread makes ready before
-- the time is taken

dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "ready.lua")

local function handshake()
    n = n + step

    return wrk.format("GET",
                      string.format("/iclock/cdata?SN=%s%07d&options=all"
                                    .. "&pushver=2.4.1&language=69",
                                    prefix, n))
end

function init(args)
    prefix = args[1]
    step = tonumber(args[2])
    n = id - step

    make(tonumber(args[3] or 0), handshake)
end
