-- KEYS: the acceptor's own hash, then each request's register, a hash {promised, accepted, value}.
-- ARGV: the acceptor's identity, the sender's configuration epoch, then four for each request: kind, ballot,
-- value, promise. Who works with an older configuration than the latest that was heard of here is refused.
-- A register that is not there has promised the `floor` and holds `nothing`, which names the floor: so registers can
-- be forgotten safely.
-- Returns one answer a request. A request that fails answers {"error", why} and leaves the others alone.
local own = redis.call("HMGET", KEYS[1], "identity", "epoch", "floor", "nothing")
if own[1] ~= ARGV[1] then return redis.error_reply("IDENTITY this is not the acceptor that it was") end
local epoch = tonumber(own[2] or 0)
if epoch > tonumber(ARGV[2]) then return redis.error_reply("EPOCH " .. epoch .. " is in force") end
if epoch < tonumber(ARGV[2]) then redis.call("HSET", KEYS[1], "epoch", ARGV[2]) end

local function answer(register, kind, ballot, value, promise)
  local fields = redis.call("HMGET", register, "promised", "accepted", "value")
  local state = {promised = fields[1] or own[3] or "0:0", accepted = fields[2] or "0:0", value = fields[3] or own[4]}
  if kind ~= "accept" then parts(state.promised); parts(state.accepted) end
  if kind == "read" then return {"state", state.promised, state.accepted, state.value} end
  if kind == "prepare" then return prepare(register, state, ballot) end
  parts(promise)
  return accept(register, state, ballot, value, promise)
end

local answers = {}
for number = 2, #KEYS do
  local fine, reply = pcall(answer, KEYS[number], unpack(ARGV, 4 * number - 5, 4 * number - 2))
  answers[number - 1] = fine and reply or {"error", type(reply) == "table" and reply.err or tostring(reply)}
end
return answers
