require "ripper"

module Catenary
  module Rails
    module Audit
      # Makes nodes of what Ruby's own parser reads.
      class Syntax
        class Broken < StandardError; end

        TOKENS = {
          :@const => :const, :@ivar => :ivar, :@cvar => :cvar, :@gvar => :gvar, :@int => :int, :@float => :float, :@ident => :local
        }.freeze

        # Raises Broken.
        def self.read(text, path)
          sexp = Ripper.sexp(text) or raise Broken, "Ruby cannot parse it"
          Node.new(:file, path, 1, body: new.node(sexp.last))
        end

        # nil for what has nothing to ask about.
        def node(sexp)
          case sexp
          in [/\A@/ => kind, String => text, [line, *]] then Node.new(text == "self" ? :self : TOKENS.fetch(kind, :token), text, line)
          in [:var_ref | :var_field | :const_ref | :top_const_ref | :top_const_field, inner] then node(inner)
          in [:const_path_ref | :const_path_field, scope, [_, name, [line, *]]] then constant(node(scope), name, line)
          in [:symbol_literal, [:symbol, [_, name, [line, *]]]] then Node.new(:symbol, name, line)
          in [:dyna_symbol, [:string_content, [:@tstring_content, name, [line, *]]]] then Node.new(:symbol, name, line)
          in [:string_literal, [:string_content, [:@tstring_content, text, [line, *]]]] then Node.new(:string, text, line)

          in [:vcall | :fcall, [_, name, [line, *]]] then Node.new(:call, name, line)
          in [:call, receiver, _, :call] then Node.new(:call, "call", receiver: node(receiver))
          in [:call, receiver, _, [_, name, [line, *]]] then Node.new(:call, name, line, receiver: node(receiver))
          in [:command, [_, name, [line, *]], arguments] then Node.new(:call, name, line, arguments: arguments(arguments))
          in [:command_call, receiver, _, [_, name, [line, *]], arguments]
            Node.new(:call, name, line, receiver: node(receiver), arguments: arguments(arguments))
          in [:method_add_arg, call, arguments] then with(node(call), arguments: arguments(arguments))
          in [:method_add_block, call, block] then with(node(call), block: node(block))
          in [:brace_block | :do_block, _, body] then Node.new(:block, body: node(body))
          in [:lambda, _, body] then Node.new(:lambda, body: node(body))

          in [:assign, target, value] then Node.new(:assign, "=", target: node(target), value: node(value))
          in [:opassign, target, [_, operator, *], value] then Node.new(:assign, operator, target: node(target), value: node(value))
          in [:massign, targets, values] then assignments(targets, values)
          in [:field, receiver, _, [_, name, [line, *]]] then Node.new(:attribute, name, line, receiver: node(receiver))
          in [:aref | :aref_field, receiver, arguments] then Node.new(:index, receiver: node(receiver), arguments: arguments(arguments))

          in [:def, [_, name, [line, *]], parameters, body] then Node.new(:def, name, line, parameters: node(parameters), body: node(body))
          in [:defs, _, _, [_, name, [line, *]], parameters, body]
            Node.new(:def, name, line, parameters: node(parameters), body: node(body), singleton: true)
          in [:class, name, superclass, body] then named(:class, node(name), superclass: node(superclass), body: node(body))
          in [:module, name, body] then named(:module, node(name), body: node(body))
          in [:sclass, _, body] then Node.new(:sclass, body: node(body))

          in [:hash, nil] then Node.new(:hash)
          in [:hash, [:assoclist_from_args, pairs]] then Node.new(:hash, pairs: pairs.map { |pair| node(pair) })
          in [:bare_assoc_hash, pairs] then Node.new(:labels, pairs: pairs.map { |pair| node(pair) })
          in [:assoc_new, key, value] then pair(node(key), node(value))
          in [:assoc_splat, value] then Node.new(:splat, value: node(value))
          in [:array, nil] then Node.new(:array)
          in [:paren, [[*] => only]] then node(only)
          in [:ifop, condition, one, other] then Node.new(:ternary, condition: node(condition), one: node(one), other: node(other))
          in [:binary, one, operator, other] then Node.new(:binary, operator.to_s, one: node(one), other: node(other))
          in [:while | :until | :while_mod | :until_mod => kind, condition, body]
            Node.new(:loop, kind.to_s[/\A[a-z]+/], condition: node(condition), body: node(body))
          in [:return | :return0, *rest] then Node.new(:return, rest: nodes(rest))
          in [:zsuper | :super => kind, *rest] then Node.new(kind, rest: nodes(rest))
          in [Symbol => type, *rest] then Node.new(type, rest: nodes(rest))
          in [Array, *] then Node.new(:list, items: nodes(sexp))
          else nil
          end
        end

        private
          def nodes(list)
            list.filter_map { |sexp| node(sexp) }
          end

          def constant(scope, name, line)
            scope&.const? ? Node.new(:const, "#{scope.name}::#{name}", line) : Node.new(:other, name, line, scope: scope)
          end

          def named(type, constant, **parts)
            Node.new(type, constant.name, constant.line, **parts)
          end

          def with(node, **more)
            Node.new(node.type, node.name, node.own_line, **node.parts, **more)
          end

          def pair(key, value)
            name = key.name.to_s.delete_suffix(":") if key && %i[token symbol string].include?(key.type)
            Node.new(:pair, name, key: key, value: value)
          end

          def arguments(sexp)
            case sexp
            in nil | false | [] then []
            in [:arg_paren, inner] then arguments(inner)
            in [:args_add_block, list, false] then arguments(list)
            in [:args_add_block, list, block] then arguments(list) << Node.new(:block_pass, value: node(block))
            in [:args_add_star, before, star, *after] then arguments(before) + [Node.new(:splat, value: node(star)), *nodes(after)]
            in [:args_forward, *] then [Node.new(:splat)]
            in [Symbol, *] then [node(sexp)].compact
            in [*list] then nodes(list)
            end
          end

          # Of a, b = 1, 2 each gets its own value, of a, b = list only the first is known.
          def assignments(targets, values)
            return Node.new(:list, items: nodes([targets, values])) unless targets.first.is_a?(Array)
            given = values.first == :mrhs_new_from_args ? [*values[1], values[2]] : [values]
            Node.new(:list, items: targets.zip(given).map do |target, value|
              Node.new(:assign, "=", target: node(target), value: (node(value) if value))
            end)
          end
      end
    end
  end
end
