-- wrk: what a fleet sends all day: of 1000 requests 900 polls, 80 single
-- punches, 10 handshakes and 10 uploads of 200 lines
--
-- arguments: prefix of the serial numbers, devices

local threads = 0

function setup(thread)
    thread:set("id", threads)
    threads = threads + 1
end

local function lines(count)
    local body = {}

    for i = 1, count do
        punch = punch + 1
        body[i] = string.format("%d\t%s\t%d\t1\t0\t0\t0",
                                first + id * 100000000 + punch,
                                os.date("!%Y-%m-%d %H:%M:%S",
                                        base + punch % 2000000), punch % 2)
    end

    return table.concat(body, "\n") .. "\n"
end

local function upload(sn, count)
    return wrk.format("POST", "/iclock/cdata?SN=" .. sn
                              .. "&table=ATTLOG&Stamp=9999",
                      { ["Content-Type"] = "text/plain" }, lines(count))
end

function init(args)
    prefix = args[1]
    devices = tonumber(args[2])
    base = os.time({ year = 2026, month = 11, day = 2, hour = 0 })
    first = os.time() % 1000000 * 1000000000
    n = 0
    punch = 0
end

function request()
    n = n + 1

    -- a prime, so that each kind comes from each device
    local sn = string.format("%s%07d", prefix, n * 7919 % devices)
    local kind = n % 100

    if kind == 50 then
        return n % 1000 < 500 and upload(sn, 200)
               or wrk.format("GET", "/iclock/cdata?SN=" .. sn
                                    .. "&options=all&pushver=2.4.1")
    end

    if kind % 12 == 1 then
        return upload(sn, 1)
    end

    return wrk.format("GET", "/iclock/getrequest?SN=" .. sn)
end
