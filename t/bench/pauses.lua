-- wrk: the same request, with a pause before each
--
-- arguments: milliseconds

function init(args)
    pause = tonumber(args[1])
end

function delay()
    return pause
end
