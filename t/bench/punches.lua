-- wrk: uploads of lines that nobody has sent before
--
-- arguments: prefix of the serial numbers, lines of an upload, devices,
-- uploads that each thread makes ready before the time is taken (0: none)

dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "ready.lua")

local function upload()
    -- a prime, so that every terminal has its turn
    local device = (id * devices / 2 + uploads * 7919) % devices
    local body = {}

    uploads = uploads + 1

    for i = 1, lines do
        n = n + 1
        body[i] = string.format("%d\t%s\t%d\t%d\t0\t0\t0",
                                id * 100000000 + n,
                                os.date("!%Y-%m-%d %H:%M:%S",
                                        base + n % 2000000),
                                n % 2, 1)
    end

    return wrk.format("POST",
                      string.format("/iclock/cdata?SN=%s%07d"
                                    .. "&table=ATTLOG&Stamp=9999",
                                    prefix, device),
                      { ["Content-Type"] = "text/plain" },
                      table.concat(body, "\n") .. "\n")
end

function init(args)
    prefix = args[1]
    lines = tonumber(args[2])
    devices = tonumber(args[3])
    base = os.time({ year = 2026, month = 11, day = 2, hour = 0 })
    n = 0
    uploads = 0

    make(tonumber(args[4] or 0), upload)
end
