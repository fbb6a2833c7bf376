-- wrk: what other scripts send is made before the time is taken
--
-- A script calls make(n, one) in its init(): n requests, or none, of which each
-- is what one() returns.  What is sent when they are used up is made meanwhile.
-- Environment: BENCH_THREADS, how many there are.
--
-- wrk makes its threads one after the other and takes the time when all are
-- there, but each sends at once, and what it sends while the next ones make
-- their requests counts.  So all of them wait for the last one.

local ffi = require("ffi")

ffi.cdef("int poll(void *fds, unsigned long n, int timeout);")

local threads = {}
local count = ffi.new("int[1]")        -- of the first state, which stays

function setup(thread)
    thread:set("id", #threads)
    thread:set("arrived", tonumber(ffi.cast("uintptr_t", count)))
    threads[#threads + 1] = thread
end

function make(n, one)
    wanted = n
    used = 0
    make_one = one
    ready = {}

    for i = 1, n do
        ready[i] = one()
    end

    collectgarbage()

    local here = ffi.cast("int *", arrived)

    here[0] = here[0] + 1
end

local function wait()
    local here = ffi.cast("int *", arrived)
    local all = tonumber(os.getenv("BENCH_THREADS"))

    while here[0] < all do
        ffi.C.poll(nil, 0, 1)
    end
end

function request()
    used = used + 1

    -- at the first one wrk of the first thread has a look before it goes on
    if used <= 2 and (used == 2 or id > 0) then
        wait()
    end

    return ready[used] or make_one()
end

-- how many were made while the time was taken, though they should not

function done()
    local late = 0

    for _, thread in ipairs(threads) do
        local wanted = thread:get("wanted")
        local used = thread:get("used")

        if wanted > 0 and used > wanted then
            late = late + used - wanted
        end
    end

    io.write(string.format("Made late: %d\n", late))
end
