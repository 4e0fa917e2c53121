-- KEYS: the acceptor's own hash, and a register. ARGV: the identity that the acceptor has to have, the epoch in force,
-- and the ballot at which every acceptor has accepted the tombstone ("0:0" if none has accepted anything).
-- Returns "forgotten", "gone" if there is nothing to forget, or why nothing was forgotten.
local own = redis.call("HMGET", KEYS[1], "identity", "epoch", "ends")
local epoch = tonumber(own[2] or 0)
if own[1] ~= ARGV[1] then return "identity" end
if epoch ~= tonumber(ARGV[2]) then return "epoch" end
if own[3] and tonumber(own[3]) > epoch then return "plan" end
local record = redis.call("HMGET", KEYS[2], "promised", "accepted")
if not record[1] then return "gone" end
if (record[2] or "0:0") ~= ARGV[3] then return "changed" end
raise(KEYS[1], record[1])
redis.call("DEL", KEYS[2])
return "forgotten"
