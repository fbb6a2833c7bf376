-- wrk: polls of many devices; arguments: prefix, devices

function init(args)
    requests = {}

    for i = 0, tonumber(args[2]) - 1 do
        requests[i] = wrk.format("GET",
                                 string.format("/iclock/getrequest?SN=%s%05d",
                                               args[1], i))
    end

    devices = tonumber(args[2])
    n = 0
end

function request()
    n = n + 1
    return requests[n % devices]
end
