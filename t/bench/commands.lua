-- wrk: polls that bring a command each, and the answers to these; a command
-- names its device, "SHELL <serial number>"
--
-- arguments: prefix of the serial numbers, devices

local threads = 0

function setup(thread)
    thread:set("id", threads)
    threads = threads + 1
end

function init(args)
    prefix = args[1]
    devices = tonumber(args[2])
    n = id * devices / 2
    answers = {}
end

function request()
    local answer = table.remove(answers)

    if answer then
        return wrk.format("POST", "/iclock/devicecmd?SN=" .. answer.sn,
                          { ["Content-Type"] = "text/plain" },
                          "ID=" .. answer.id .. "&Return=0&CMD=SHELL\n")
    end

    n = n + 1

    return wrk.format("GET", string.format("/iclock/getrequest?SN=%s%07d",
                                           prefix, n % devices))
end

function response(status, headers, body)
    local number, name = body:match("^C:(%d+):SHELL (%w+)")

    if number then
        answers[#answers + 1] = { id = number, sn = name }
    end
end
