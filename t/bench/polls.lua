-- wrk: polls of many devices
--
-- arguments: prefix; devices; "each" when there are too many to keep their
-- texts: these are made one by one then, devices that follow each other are far
-- apart, and each thread has half of them before it comes to those of the
-- other; the path, if it is not that of polls; with "each", how many polls a
-- thread has sent before

local threads = 0

function setup(thread)
    thread:set("id", threads)
    threads = threads + 1
end

local function poll(i)
    return wrk.format("GET", string.format("%s?SN=%s%07d", path, prefix, i))
end

function init(args)
    prefix = args[1]
    devices = tonumber(args[2])
    each = args[3] == "each"
    path = args[4] or "/iclock/getrequest"
    requests = {}
    n = 0

    if each then
        n = math.floor(id * devices / 2) + tonumber(args[5] or 0)
        return
    end

    for i = 0, devices - 1 do
        requests[i] = poll(i)
    end
end

function request()
    n = n + 1

    if each then
        -- a prime, so that every device has its turn
        return poll(n * 7919 % devices)
    end

    return requests[n % devices]
end
