require "bigdecimal"

class EchoChannel < ApplicationCable::Channel
  def subscribed
    super
    transmit({ early: params[:early] }) if params[:early]
  end

  def echo(data)
    transmit data
  end

  def receive(data)
    transmit({ receive: data })
  end

  def noarg
    transmit({ noarg: true })
  end

  def twoarg(a, b)
    transmit({ twoarg: [a, b] })
  end

  def twice(data)
    transmit({ first: data["n"] })
    transmit({ second: data["n"] })
  end

  def fail(_data)
    raise "an action failed, as asked"
  end

  def failarg(_data)
    raise ArgumentError, "argh"
  end

  def slow(data)
    sleep data["s"].to_f
    transmit({ slow: data["n"] })
  end

  def follow(data)
    stream_from data["s"]
  end

  def unfollow(data)
    stop_stream_from data["s"]
  end

  def stopall
    stop_all_streams
  end

  def huge
    transmit "x" * (33 << 20)
  end

  def closeconn
    connection.close
  end

  def rejectnow
    reject
  end

  def who
    transmit({ user: user.try(:id) || user, tenant: tenant })
  end

  def str
    transmit "plain <b>&"
  end

  def nul
    transmit nil
  end

  def num
    transmit 42
  end

  def types
    transmit({ t: Time.at(0).utc, f: 1.0, big: 1e25, bd: BigDecimal("1.10"), sym: :a, nan: Float::NAN, inf: Float::INFINITY, d: Date.new(2020, 1, 2) })
  end

  protected
    def prot
      transmit({ prot: true })
    end

  private
    def priv
      transmit({ priv: true })
    end
end
