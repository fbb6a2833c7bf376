-- wrk: handshakes, each of another device; arguments: prefix, threads

local threads = 0

function setup(thread)
    thread:set("id", threads)
    threads = threads + 1
end

function init(args)
    prefix = args[1]
    step = tonumber(args[2])
    n = id - step
end

function request()
    n = n + step

    return wrk.format("GET",
                      string.format("/iclock/cdata?SN=%s%07d&options=all"
                                    .. "&pushver=2.4.1&language=69",
                                    prefix, n))
end
