"""Answers to lesson 04: see tests/lessons/runner.py for the form of this file."""


def lua(body: str) -> str:
    return f'ACCEPT = """\nlocal function accept(register, state, ballot, value, promise)\n{body}\nend\n"""'


RIGHT = {
    "build-accept": lua(
        """
  if is_higher(state.promised, ballot) then
    return {"conflict", state.promised}
  end
  redis.call("HSET", register, "promised", promise, "accepted", ballot, "value", value)
  return {"accepted"}
"""
    )
}

WRONG = {
    "build-accept": {
        "refuses an equal ballot": (
            lua(
                """
  if not is_higher(ballot, state.promised) then
    return {"conflict", state.promised}
  end
  redis.call("HSET", register, "promised", promise, "accepted", ballot, "value", value)
  return {"accepted"}
"""
            ),
            "yours answers Conflict(promised=Ballot(counter=2, proposer=9)), the rule says Accepted()",
        ),
        "compares ballots as texts": (
            lua(
                """
  if ballot < state.promised then
    return {"conflict", state.promised}
  end
  redis.call("HSET", register, "promised", promise, "accepted", ballot, "value", value)
  return {"accepted"}
"""
            ),
            "promised 2:10, then an accept at 2:9 that promises 2:9: yours answers Accepted()",
        ),
        "forgets the next promise": (
            lua(
                """
  if is_higher(state.promised, ballot) then
    return {"conflict", state.promised}
  end
  redis.call("HSET", register, "promised", ballot, "accepted", ballot, "value", value)
  return {"accepted"}
"""
            ),
            "the answer is right, but yours stores promised 2:9, accepted 2:9",
        ),
        "stores before it decides": (
            lua(
                """
  redis.call("HSET", register, "promised", promise, "accepted", ballot, "value", value)
  if is_higher(state.promised, ballot) then
    return {"conflict", state.promised}
  end
  return {"accepted"}
"""
            ),
            "the answer is right, but yours stores promised 2:9",
        ),
        "never compares": (
            lua(
                """
  redis.call("HSET", register, "promised", promise, "accepted", ballot, "value", value)
  return {"accepted"}
"""
            ),
            "the rule says Conflict",
        ),
        "is not Lua": (lua("  if is_higher(state.promised, ballot):"), "the server could not run the script"),
        "stops with an error": (lua("  return state.promise.ballot"), "the script ended in an error"),
        "says what no acceptor says": (
            lua('  return {"ok"}'),
            'the script answered with {"ok"}: each way through it has to end with',
        ),
    }
}
