-- wrk: polls of many devices
--
-- arguments: prefix, devices, "each" for texts that are made one by one: when
-- there are too many to keep

local function poll(i)
    return wrk.format("GET", string.format("/iclock/getrequest?SN=%s%07d",
                                           prefix, i))
end

function init(args)
    prefix = args[1]
    devices = tonumber(args[2])
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
