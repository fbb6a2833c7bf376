-- wrk: polls of many devices
--
-- arguments: prefix, devices, "each" for texts that are made one by one: when
-- there are too many to keep; the path, if it is not that of polls

local function poll(i)
    return wrk.format("GET", string.format("%s?SN=%s%07d", path, prefix, i))
end

function init(args)
    prefix = args[1]
    devices = tonumber(args[2])
    path = args[4] or "/iclock/getrequest"
    requests = {}
    n = 0

    if args[3] ~= "each" then
        for i = 0, devices - 1 do
            requests[i] = poll(i)
        end
    end
end

function request()
    n = n + 1

    local i = n % devices

    return requests[i] or poll(i)
end
